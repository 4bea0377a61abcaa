# What does not depend on the environment; `serve` passes the rest.
# GUNICORN_CMD_ARGS outranks this file. A gunicorn that does not know a name here passes over it.
worker_class = "gthread"  # keeps connections alive; the sync worker closes each after one request
keepalive = 75
graceful_timeout = 25  # SageMaker kills 30 s after its SIGTERM
control_socket_disable = (
    True  # it would be a file in the home directory, shared by every server of a user
)

import os

from predictor import create_app

app = create_app(os.environ)

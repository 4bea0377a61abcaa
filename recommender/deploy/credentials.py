"""Are there AWS credentials on this machine? Asked without a word over the network."""

from __future__ import annotations

import boto3
from botocore.exceptions import BotoCoreError
from botocore.session import get_session

__all__ = ["find_credentials"]

OVER_THE_NETWORK = "iam-role"  # the instance metadata service


def find_credentials() -> str | None:
    """How they were found ("env", "shared-credentials-file", …); None when there are none.

    They are not tried: whether AWS accepts them is known when they are used.
    """
    session = get_session()
    session.get_component("credential_provider").remove(OVER_THE_NETWORK)
    try:
        found = boto3.Session(botocore_session=session).get_credentials()
    except BotoCoreError as error:
        return f"unusable: {error}"
    return None if found is None else str(found.method)

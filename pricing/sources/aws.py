"""AWS by boto3: where its settings come from, how hard it is asked, and what its errors mean.

Profiles, regions and endpoints are set in boto3's ordinary ways (AWS_PROFILE, AWS_ENDPOINT_URL,
AWS_ENDPOINT_URL_PRICING, AWS_MAX_ATTEMPTS, ...).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from pricing.errors import BadOffer, SourceRefused, SourceUnavailable
from pricing.sources.seen import Refused, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PRICING_REGION", "Aws", "faults_named", "where_enabled"]

ATTEMPTS: Final = 6
# The price list has one endpoint a continent, each with the prices of every region.
PRICING_REGION: Final = "us-east-1"

_NO_CREDENTIALS: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    SSOError,
    ProfileNotFound,
)
# Every other region is closed to an account until it is enabled there. EC2 then answers as if the
# credentials were wrong.
_OPEN_TO_ALL: Final = frozenset(
    {
        *("ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1"),
        *("ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1"),
        *("eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1"),
        "us-west-2",
    }
)
_CLOSED: Final = frozenset({"AuthFailure", "OptInRequired"})
_THROTTLED: Final = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"}
)
# Codes, what they mean, and what to do.
_REFUSALS: Final = (
    (
        frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"}),
        "the AWS credentials have expired",
        "log in again (aws sso login)",
    ),
    (
        frozenset(
            {
                *("AuthFailure", "InvalidClientTokenId", "InvalidSignatureException"),
                *("OptInRequired", "SignatureDoesNotMatch", "UnrecognizedClientException"),
            }
        ),
        "AWS does not take these credentials",
        "see to AWS_PROFILE",
    ),
    (
        frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}),
        "these AWS credentials may not do that",
        "wanted: pricing:GetProducts, ec2:DescribeSpotPriceHistory, ec2:DescribeInstanceTypes",
    ),
)
_WITHOUT: Final = (
    "the public offer file needs no credentials: --source offer-file --source ec2-offer-file"
)


class RegionNotEnabled(SourceRefused):
    """The account has not opened the region."""


@dataclass(frozen=True, slots=True)
class Aws:
    """One session for all sources that need an account."""

    core: botocore.session.Session
    session: boto3.Session

    @classmethod
    def as_configured(cls) -> Aws:
        with faults_named("AWS settings"):
            core = botocore.session.Session()
            return cls(core, boto3.Session(botocore_session=core))

    def has_credentials(self) -> bool:
        with faults_named("AWS credentials"):
            return self.session.get_credentials() is not None

    def client(self, service: str, region: str) -> Any:  # noqa: ANN401 - boto3 makes the type
        """It slows down when throttled, and tries again with longer and longer pauses."""
        attempts = self.core.get_config_variable("max_attempts") or ATTEMPTS
        config = Config(
            retries={"mode": "adaptive", "total_max_attempts": int(attempts)},
            connect_timeout=10,
            read_timeout=60,
        )
        with faults_named(service):
            return self.session.client(service, region_name=region, config=config)

    def hosting_types(self) -> frozenset[str]:
        """What SageMaker's API takes as the instance type of an endpoint."""
        model = self.core.get_service_model("sagemaker")
        return frozenset(model.shape_for("ProductionVariantInstanceType").enum)


@contextmanager
def faults_named(what: str, region: str = PRICING_REGION) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _answered(what, region, error) from error
    except _NO_CREDENTIALS as error:
        raise SourceRefused(
            f"{what}: no AWS credentials that can be used: {_line(error)}",
            hint=f"log in (aws sso login, aws configure), or go without: {_WITHOUT}",
        ) from error
    except BotoCoreError as error:
        raise SourceUnavailable(
            f"{what} cannot be reached: {_line(error)}",
            hint="see to the network or the proxy, then run the same command again:"
            " what was fetched is kept",
        ) from error
    except (KeyError, TypeError, ValueError, ResponseParserError) as error:
        raise BadOffer(
            f"{what} answered what cannot be read: {type(error).__name__}: {_line(error)}",
            hint="is the endpoint AWS's? AWS_ENDPOINT_URL and its like may name another",
        ) from error


def _answered(what: str, region: str, error: ClientError) -> SourceRefused | SourceUnavailable:
    code = str(error.response.get("Error", {}).get("Code", ""))
    said = error.response.get("Error", {}).get("Message") or "no message"
    if code in _CLOSED and region not in _OPEN_TO_ALL:
        return RegionNotEnabled(f"{what}: the region is not enabled in this account ({code})")
    if code in _THROTTLED:
        return SourceUnavailable(
            f"{what}: AWS is throttling us and did not stop in {_attempts(error)} attempts",
            hint="run the same command again in a while: what was fetched is kept",
        )
    for codes, meaning, advice in _REFUSALS:
        if code in codes:
            return SourceRefused(
                f"{what}: {meaning} ({code}: {said})", hint=f"{advice}, or go without: {_WITHOUT}"
            )
    return SourceUnavailable(f"{what}: AWS answered {code}: {said}", hint="try again in a while")


def where_enabled(region: str, what: str, source: str, ask: Callable[[], Seen]) -> Seen:
    """What `ask` saw. A region that the account has not opened is refused by itself alone.

    Other regions are read all the same, and other sources of this one.
    """
    try:
        return ask()
    except RegionNotEnabled as error:
        refused = Refused(region=region, what=what, reason=str(error), source=source)
        return Seen(refused=(refused,))


def _attempts(error: ClientError) -> int:
    retried = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
    return int(retried) + 1


def _line(error: Exception) -> str:
    return " ".join(str(error).split())

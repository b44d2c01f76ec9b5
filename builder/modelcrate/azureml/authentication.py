"""The original's ways to log in to the cloud. Scripts pass them to `Workspace`; here nobody has to log in, so they do nothing."""

from __future__ import annotations

from modelcrate.azureml.absent import ACCOUNT, refusing


@refusing({ACCOUNT: "get_token signed_session"})
class AbstractAuthentication:
    """A login that is not needed. It takes what the original takes, keeps nothing of it, and can be passed as `auth`."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Takes anything, and forgets it."""

    def get_authentication_header(self) -> dict[str, str]:
        """Returns no headers: nobody logs in here, and services of this machine ask for none."""
        return {}


class InteractiveLoginAuthentication(AbstractAuthentication):
    """See `AbstractAuthentication`."""


class ServicePrincipalAuthentication(AbstractAuthentication):
    """See `AbstractAuthentication`."""


class AzureCliAuthentication(AbstractAuthentication):
    """See `AbstractAuthentication`."""


class MsiAuthentication(AbstractAuthentication):
    """See `AbstractAuthentication`."""


@refusing({ACCOUNT: "update_arm_access_token"})
class ArmTokenAuthentication(AbstractAuthentication):
    """See `AbstractAuthentication`."""


class TokenAuthentication(AbstractAuthentication):
    """See `AbstractAuthentication`."""

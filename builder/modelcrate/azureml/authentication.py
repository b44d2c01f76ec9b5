"""The original's ways to log in to the cloud. Scripts pass them to `Workspace`; here nobody has to log in, so they do nothing."""

from __future__ import annotations

from modelcrate.azureml.absent import ACCOUNT, refuse


class AbstractAuthentication:
    """A login that is not needed. It takes what the original takes, keeps nothing of it, and can be passed as `auth`."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Takes anything, and forgets it."""

    get_authentication_header = refuse("get_authentication_header", ACCOUNT)
    get_token = refuse("get_token", ACCOUNT)
    signed_session = refuse("signed_session", ACCOUNT)


class InteractiveLoginAuthentication(AbstractAuthentication):
    """See `AbstractAuthentication`."""


class ServicePrincipalAuthentication(AbstractAuthentication):
    """See `AbstractAuthentication`."""


class AzureCliAuthentication(AbstractAuthentication):
    """See `AbstractAuthentication`."""


class MsiAuthentication(AbstractAuthentication):
    """See `AbstractAuthentication`."""


class ArmTokenAuthentication(AbstractAuthentication):
    """See `AbstractAuthentication`."""

    update_arm_access_token = refuse("update_arm_access_token", ACCOUNT)


class TokenAuthentication(AbstractAuthentication):
    """See `AbstractAuthentication`."""

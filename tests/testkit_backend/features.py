"""What the driver says of itself: the features by which tests are selected, and the tests left out."""

from __future__ import annotations

import re
import ssl
from typing import Final

__all__ = ["FEATURES", "skip_reason"]

# Testkit knows further features, which the driver has not:
#
#   Feature:TLS:1.1                             refused, since it is not safe
#   Optimization:ResultListFetchAll             a list is made by iterating, which cannot be told apart
#   Optimization:MinimalVerifyAuthentication    a new connection is checked like one from the pool
#   Detail:ClosedDriverIsEncrypted, Detail:DefaultSecurityConfigValueEquality, Detail:NumberIsNumber
#                                               ways of other languages
FEATURES: Final = [
    "Feature:API:BookmarkManager",
    "Feature:API:ConnectionAcquisitionTimeout",
    "Feature:API:Driver.ExecuteQuery",
    "Feature:API:Driver.ExecuteQuery:WithAuth",
    "Feature:API:Driver.IsEncrypted",
    "Feature:API:Driver.SupportsSessionAuth",
    "Feature:API:Driver.VerifyAuthentication",
    "Feature:API:Driver.VerifyConnectivity",
    "Feature:API:Driver:GetServerInfo",
    "Feature:API:Driver:NotificationsConfig",
    "Feature:API:Liveness.Check",
    "Feature:API:Result.List",
    "Feature:API:Result.Peek",
    "Feature:API:Result.Single",
    "Feature:API:Result.SingleOptional",
    "Feature:API:RetryableExceptions",
    "Feature:API:SSLClientCertificate",
    "Feature:API:SSLConfig",
    "Feature:API:SSLSchemes",
    "Feature:API:Session:AuthConfig",
    "Feature:API:Session:NotificationsConfig",
    "Feature:API:Summary:GqlStatusObjects",
    "Feature:API:Type.Spatial",
    "Feature:API:Type.Temporal",
    "Feature:Auth:Bearer",
    "Feature:Auth:Custom",
    "Feature:Auth:Kerberos",
    "Feature:Auth:Managed",
    "Feature:Bolt:3.0",
    *(f"Feature:Bolt:4.{minor}" for minor in range(1, 5)),
    *(f"Feature:Bolt:5.{minor}" for minor in range(8)),
    "Feature:Bolt:Patch:UTC",
    "Feature:Impersonation",
    "Feature:TLS:1.2",
    *(["Feature:TLS:1.3"] if ssl.HAS_TLSv1_3 else []),
    "AuthorizationExpiredTreatment",
    "Optimization:AuthPipelining",
    "Optimization:ConnectionReuse",
    "Optimization:EagerTransactionBegin",
    "Optimization:ExecuteQueryPipelining",
    "Optimization:ImplicitDefaultArguments",
    "Optimization:MinimalBookmarksSet",
    "Optimization:MinimalResets",
    "Optimization:PullPipelining",
    "ConfHint:connection.recv_timeout_seconds",
    "Backend:MockTime",
    "Backend:RTFetch",
    "Backend:RTForceUpdate",
]

# Regular expressions for the ids of tests, without the "tests." that they begin with. The official driver
# leaves out the same ones.
_SKIPS: Final[dict[str, str]] = {
    r"stub\.retry\.test_retry_clustering\.TestRetryClustering\."
    r"test_retry_ForbiddenOnReadOnlyDatabase_ChangingWriter": (
        "needs verify_connectivity to ask for a routing table even when there is a fresh one"
    ),
    r"stub\.authorization\.test_authorization\.TestAuthorizationV\w+\."
    r"test_should_(retry_on_auth|fail_on_token)_expired_on_begin_using_tx_function": (
        "needs servers to be chosen in one order, and they are chosen at random"
    ),
    r"stub\.session_run_parameters\.test_session_run_parameters\.TestSessionRunParameters\."
    r"test_empty_query": (
        "an empty query is refused before it is sent"
    ),
    r"stub\.server_side_routing\.test_server_side_routing\.TestServerSideRouting\."
    r"test_direct_connection_with_url_params": (
        "needs a ValueError, and this is a ConfigurationError"
    ),
    r"stub\.routing\.test_routing_v\w+\.RoutingV\w+\.test_should_drop_connections_failing_liveness_check": (
        "needs a failed liveness check to be an error that retries the whole transaction"
    ),
}


def skip_reason(test: str) -> str | None:
    """Return why the driver leaves out a test, None when it does not."""
    for pattern, reason in _SKIPS.items():
        if re.fullmatch(pattern, test):
            return reason
    return None

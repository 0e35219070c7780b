"""One CVAT server, spoken to by its official SDK.

Answers are taken as plain JSON: the SDK's models follow the newest server, this client also works
with older ones. What is sent goes through the SDK's models.

The token comes from the environment or from a profile of ``cvat-cli``. It is held by the SDK's
client alone: no message here holds a request's headers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

import urllib3

from cvat_function.client.errors import BadJob, CvatError, NotAllowed
from impose_core.errors import UsageError

TOKEN: Final = "CVAT_ACCESS_TOKEN"  # the name that cvat-cli reads too
HOST: Final = "CVAT_SERVER"
USER: Final = "CVAT_USERNAME"
PASSWORD: Final = "CVAT_PASSWORD"
TIMEOUT: Final = 180.0
"""Seconds for one answer; CVAT gives a function 120 by default."""

Json = dict[str, Any]


class Server:
    """The calls this client makes.

    Raises (all methods):
        NotAllowed: if the server refuses this user.
        BadJob: if there is nothing under that number.
        CvatError: if the server cannot be reached or answers with an error.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._api = client.api_client
        self.host: str = client.api_map.host

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def job(self, job: int) -> Json:
        """What the server says of a job."""
        return self._object(f"job {job}", self._api.jobs_api.retrieve_endpoint, id=job)

    def meta(self, job: int) -> Json:
        """Frames of a job: their size, and which are deleted."""
        return self._object(f"job {job}", self._api.jobs_api.retrieve_data_meta_endpoint, id=job)

    def labels(self, job: int, organization: int | None) -> list[Json]:
        """All labels of a job, with their sub-labels."""
        found: list[Json] = []
        scope = {} if organization is None else {"org_id": organization}
        while True:
            page = self._object(
                f"job {job}",
                self._api.labels_api.list_endpoint,
                job_id=job,
                page=len(found) // 100 + 1,
                page_size=100,
                **scope,
            )
            found += page["results"]
            if not page.get("next"):
                return found

    def annotations(self, job: int) -> Json:
        """Everything annotated in a job."""
        return self._object(f"job {job}", self._api.jobs_api.retrieve_annotations_endpoint, id=job)

    def chunk(self, job: int, **place: int) -> tuple[bytes, str]:
        """Pictures of a job and their media type; ``place`` is ``index=`` or ``number=``."""
        response = self._call(
            f"job {job}",
            self._api.jobs_api.retrieve_data_endpoint,
            id=job,
            type="chunk",
            quality="original",
            **place,
        )
        return response.data, response.headers.get("Content-Type", "")

    def put_tracks(self, job: int, tracks: Sequence[Mapping[str, Any]]) -> None:
        """Put ``tracks`` in the place of those with their ids, in one transaction of the server.

        A track without an id is new. The server gives all of them new ids.
        """
        self._patch(job, "update", tracks)

    def delete_tracks(self, job: int, tracks: Sequence[Mapping[str, Any]]) -> None:
        """Delete ``tracks``, which must have ids."""
        self._patch(job, "delete", tracks)

    def put_annotations(self, job: int, annotations: Mapping[str, Any]) -> None:
        """Make everything annotated in a job what ``annotations`` says."""
        from cvat_sdk import models

        kinds = {
            "tags": models.LabeledImageRequest,
            "shapes": models.LabeledShapeRequest,
            "tracks": models.LabeledTrackRequest,
        }
        body = {
            name: [model(**one) for one in annotations.get(name, ())]
            for name, model in kinds.items()
        }
        self._call(
            f"job {job}",
            self._api.jobs_api.update_annotations_endpoint,
            id=job,
            labeled_data_request=models.LabeledDataRequest(**body),
        )

    def add_attributes(self, label: int, attributes: Sequence[Mapping[str, Any]]) -> None:
        """Give a label further attributes; those it has stay."""
        from cvat_sdk import models

        self._call(
            f"label {label}",
            self._api.labels_api.partial_update_endpoint,
            id=label,
            patched_label_request=models.PatchedLabelRequest(
                attributes=[models.AttributeRequest(**one) for one in attributes]
            ),
        )

    def call_function(self, name: str, body: Mapping[str, Any]) -> Json:
        """One call of a deployed function."""
        endpoint = self._api.lambda_api.create_functions_endpoint
        # not by the endpoint itself: its model turns frame 7 into 7.0
        return self._object(
            f"function {name}",
            self._api.call_api,
            resource_path=endpoint.settings["endpoint_path"],
            method="POST",
            path_params={"func_id": name},
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=dict(body),
            auth_settings=endpoint.settings["auth"],
        )

    def _patch(self, job: int, action: str, tracks: Sequence[Mapping[str, Any]]) -> None:
        from cvat_sdk import models

        body = models.PatchedLabeledDataRequest(
            tracks=[models.LabeledTrackRequest(**track) for track in tracks]
        )
        self._call(
            f"job {job}",
            self._api.jobs_api.partial_update_annotations_endpoint,
            id=job,
            action=action,
            patched_labeled_data_request=body,
        )

    def _object(self, what: str, endpoint: Any, **arguments: Any) -> Json:
        data = self._call(what, endpoint, **arguments).data
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise CvatError(
                f"Expected a JSON object about {what} from {self.host}, got something else.",
                hint="Is this the address of a CVAT server?",
            )
        return found

    def _call(self, what: str, endpoint: Any, **arguments: Any) -> Any:
        from cvat_sdk.exceptions import ApiException

        try:
            call = getattr(endpoint, "call_with_http_info", endpoint)
            _, response = call(_parse_response=False, _request_timeout=TIMEOUT, **arguments)
            response.data  # noqa: B018 # reads it, while errors of the line are caught
        except ApiException as error:
            raise self._refusal(what, error.status, error.body) from None
        except urllib3.exceptions.HTTPError as error:
            raise CvatError(
                f"Expected an answer about {what} from {self.host}, got none "
                f"({type(error).__name__}).",
                hint="Is the server running, and the address right? Run the command again.",
            ) from None
        return response

    def _refusal(self, what: str, status: int | None, body: object) -> Exception:
        said = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
        told = f"got {status}: {said[:200].strip() or 'no reason'}."
        if status in (401, 403):
            return NotAllowed(
                f"Expected {self.host} to let this user at {what}, {told}",
                hint=f"Check {TOKEN} or the profile, and the user's rights in CVAT.",
            )
        if status == 404:
            return BadJob(f"Expected {what} to be on {self.host}, {told}")
        return CvatError(f"Expected {self.host} to answer about {what}, {told}")


def open_server(*, host: str | None, profile: str | None, environment: Mapping[str, str]) -> Server:
    """The server at ``host``, or that of a profile of ``cvat-cli``; by default its default one.

    Raises:
        UsageError: if nothing says who the user is, or ``cvat-sdk`` is missing.
        NotAllowed: if a user name and password are refused.
    """
    try:
        from cvat_sdk.core.auth import AuthStore
        from cvat_sdk.core.client import AccessTokenCredentials, Client, Config
        from cvat_sdk.core.exceptions import CvatSdkException
        from cvat_sdk.core.utils import normalize_server_url
        from cvat_sdk.exceptions import ApiException
    except ImportError as error:
        raise UsageError(
            f"Expected cvat-sdk to be installed for 'impose cvat', got: {error}.",
            hint="pip install 'impose[cvat]'",
        ) from None
    try:
        url, token = _who(
            host or environment.get(HOST), profile, environment.get(TOKEN), AuthStore,
            normalize_server_url,
        )  # fmt: skip
        client = Client(url, config=Config(verify_ssl=True), check_server_version=False)
        user, password = environment.get(USER), environment.get(PASSWORD)
        if token:
            client.login(AccessTokenCredentials(token))
        elif user and password:
            client.login((user, password))
        else:
            raise UsageError(
                f"Expected {TOKEN} in the environment or a profile of cvat-cli for {url}, got "
                "neither.",
                hint="Make a token in CVAT's profile page, then 'cvat-cli profile create'. "
                f"Servers before 2.48 know none: set {USER} and {PASSWORD}.",
            )
    except CvatSdkException as error:
        raise UsageError(f"Expected a usable server or profile, got: {error}") from None
    except ApiException as error:
        raise NotAllowed(f"Expected {url} to let {user!r} in, got {error.status}.") from None
    except urllib3.exceptions.HTTPError as error:
        raise CvatError(
            f"Expected an answer from {url}, got none ({type(error).__name__})."
        ) from None
    return Server(client)


def _who(
    host: str | None,
    profile: str | None,
    token: str | None,
    store: Callable[[], Any],
    normalized: Callable[[str], str],
) -> tuple[str, str | None]:
    """Address and token. The environment's token goes to an address that was named only."""
    if profile is not None:
        entry = store().get_profile(profile)
        if entry is None:
            raise UsageError(f"Expected '--profile' to be one of cvat-cli's, got {profile!r}.")
        if host is not None and normalized(host) != entry.server:
            raise UsageError(
                f"Expected '--server' to be that of profile {profile!r}, {entry.server}; "
                f"got {host}."
            )
        return entry.server, entry.token
    if host is not None:
        url = normalized(host)
        known = [one for one in store().list_profiles().values() if one.server == url]
        return url, token or (known[0].token if known else None)
    default = store().get_default_profile()
    if default is None:
        raise UsageError(
            "Expected '--server' or a default profile of cvat-cli, got neither.",
            hint=f"Give --server https://..., or set {HOST}.",
        )
    return default[1].server, default[1].token

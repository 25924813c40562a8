"""CVE-2025-69196: the resource is left out of a request. A strict provider checks each.

The refresh's own tests do the third request. Removal tried: without `resource` in
`oauth.token.code_request` the strict provider answers `invalid_target`.
"""

from pathlib import Path

from tests.support.sign_ins import open_scene


async def test_authorization_and_token_request_name_the_upstream(tmp_path: Path) -> None:
    async with open_scene(tmp_path) as scene:
        await scene.connected()
        (authorized,) = scene.server.authorized
        (exchanged,) = scene.server.token_requests
        assert authorized["resource"] == exchanged.form["resource"] == scene.upstream.url

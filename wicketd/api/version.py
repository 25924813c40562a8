"""The number of the admin contract and the headers that carry it.

Raised when a field is removed or narrowed.
"""

from typing import Final

API_VERSION: Final = "1"
API_HEADER: Final = "Wicket-Api"
VERSION_HEADER: Final = "Wicket-Version"
HOST: Final = "wicket-admin"
"""The only `Host` that the admin socket answers."""

"""HTTP downloads that resume, and a short answer to whether a host can be reached."""

from __future__ import annotations

import http.client
import os
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from srbench.errors import DownloadError

Progress = Callable[[str, int, int | None], None]

_BLOCK = 1 << 18
_SILENCE = 30.0  # seconds without a byte after which a connection counts as dead
_ATTEMPTS = 3  # connections for one file, each going on where the last broke off
_NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, ssl.SSLError, TimeoutError,
                   ConnectionError)

_reached: dict[str, bool] = {}


def is_offline() -> bool:
    """Whether ``SRBENCH_OFFLINE`` forbids the network."""
    return os.environ.get("SRBENCH_OFFLINE", "0") not in ("", "0")


def reachable(url: str, timeout: float = 5.0) -> bool:
    """Whether the file behind ``url`` can be fetched; found out once for each process.

    Parameters
    ----------
    url : str
        Of a file.
    timeout : float
        Seconds after which the answer is no, whatever hangs: name resolution, proxy or server.
    """
    if is_offline():
        return False
    if url not in _reached:
        answer: list[bool] = []
        probe = threading.Thread(target=lambda: answer.append(_answers(url, timeout)), daemon=True)
        probe.start()
        probe.join(timeout)
        _reached[url] = answer == [True]
    return _reached[url]


def _answers(url: str, timeout: float) -> bool:
    try:
        with _open(url, {}, timeout, method="HEAD") as response:
            return not _is_page(url, response)
    except (*_NETWORK_ERRORS, DownloadError, OSError, ValueError):
        return False


def download(url: str, part: Path, *, label: str, resume: bool = False,
             progress: Progress | None = None) -> bool:
    """Fetch ``url`` into ``part``.

    Parameters
    ----------
    url : str
        ``http`` or ``https``.
    part : Path
        File that grows; it stays where the download fails, to be resumed.
    label : str
        Given to ``progress``.
    resume : bool
        Go on behind what ``part`` already holds. The caller must verify the result.
    progress : callable, optional
        See `srbench.files.ensure`.

    Returns
    -------
    bool
        Whether bytes of an earlier download are part of the result.

    Raises
    ------
    DownloadError
        If the network is forbidden, the server refuses, sends a web page or stops half-way.
    OSError
        If ``part`` cannot be written.
    """
    if not resume:
        part.unlink(missing_ok=True)
    start = _size(part)
    kept = start > 0
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            restarted = _transfer(url, part, label, progress)
            return kept and not restarted
        except urllib.error.HTTPError as error:
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
                raise DownloadError(f"the server answered {error.code} {error.reason}") from error
            part.unlink()  # as long as the file or longer, yet it was not accepted before
            kept = False
        except _NETWORK_ERRORS as error:
            if attempt == _ATTEMPTS or _size(part) <= start:
                raise DownloadError(f"{_reason(error)} ({_size(part):,} bytes came)") from error
        start = _size(part)
    raise DownloadError(f"the connection broke {_ATTEMPTS} times")


def _transfer(url: str, part: Path, label: str, progress: Progress | None) -> bool:
    """Fetch what ``part`` lacks over one connection; True if the server began from the start."""
    start = _size(part)
    headers = {"Range": f"bytes={start}-"} if start else {}
    with _open(url, headers, _SILENCE) as response:
        if _is_page(url, response):
            raise DownloadError("the server sent a web page instead of the file")
        continued = response.status == http.client.PARTIAL_CONTENT
        given = response.headers.get("Content-Range", "")
        if continued and not given.startswith(f"bytes {start}-"):
            raise DownloadError("the server sent another range than was asked for")
        done = start if continued else 0
        length = response.headers.get("Content-Length")
        total = None if length is None else done + int(length)
        with part.open("ab" if continued else "wb") as file:
            while block := response.read(_BLOCK):
                file.write(block)
                done += len(block)
                if progress is not None:
                    progress(label, done, total)
        if total is not None and done < total:
            raise ConnectionError(f"the server stopped at {done:,} of {total:,} bytes")
    return start > 0 and not continued


def _open(url: str, headers: dict[str, str], timeout: float, *, method: str = "GET") -> Any:
    if is_offline():
        raise DownloadError("SRBENCH_OFFLINE forbids the network")
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"{url!r} is no http address")
    request = urllib.request.Request(url, headers={"User-Agent": "srbench", **headers},
                                     method=method)
    return urllib.request.urlopen(request, timeout=timeout)


def _is_page(url: str, response: Any) -> bool:
    """Whether a server answers with a page of its own, as portals and moved files do."""
    wanted = urlsplit(url).path.endswith((".html", ".htm"))
    return not wanted and response.headers.get_content_type() == "text/html"


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error) or type(error).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock that ends with the process, however it ends."""
    with path.open("w") as file:
        if sys.platform != "win32":  # there two downloads of one file at once are not kept apart
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield

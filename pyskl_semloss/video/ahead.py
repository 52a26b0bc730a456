"""Doing the next steps of an iterator in a thread while the last one is worked on."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")
_END = object()


def ahead(items: Iterable[Item], steps: int = 4) -> Iterator[Item]:
    """The items of an iterable, which a thread fetches up to ``steps`` ahead; its error comes in its place.

    The thread ends with the iterator, whether or not all items were taken.
    """
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(steps)
    left = threading.Event()

    def fetch() -> None:
        error: BaseException | None = None
        source = iter(items)
        try:
            for item in source:
                if not _put(ready, (item, None), left):
                    return
        except BaseException as caught:
            error = caught
        finally:
            # A generator holds a file open.
            if hasattr(source, "close"):
                source.close()
        _put(ready, (_END, error), left)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        left.set()
        with contextlib.suppress(RuntimeError):
            thread.join(5)


def _put(ready: queue.Queue[Any], item: Any, left: threading.Event) -> bool:
    """Whether the item was put before the reader left."""
    while not left.is_set():
        with contextlib.suppress(queue.Full):
            ready.put(item, timeout=0.1)
            return True
    return False

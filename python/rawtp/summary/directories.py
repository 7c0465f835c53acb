"""Counts of deleted files by directory, in bounded memory: what ``rm -rf`` removes is one tree."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import Counter

_MAX_DIRECTORIES = 4096


class DirectoryCounts:
    """Counts of what was deleted below each directory. The sum of all is exact, whatever is folded."""

    def __init__(self, max_directories: int = _MAX_DIRECTORIES) -> None:
        self._max = max_directories
        # By directory, the number of files deleted in it; and by the parent of each deleted directory, its whole count.
        self._files: Counter[str] = Counter()
        self._gone: dict[str, Counter[str]] = {}
        self._count = 0
        self._unknown = 0

    def add(self, path: str | None, *, is_directory: bool) -> None:
        """Count one more. A directory that is deleted was empty: all that was deleted below it is now its tree's."""
        if path is None:
            self._unknown += 1
            return
        parent = path.rpartition("/")[0] or "/"
        if is_directory:
            below = self._files.pop(path, 0) + sum(self._gone.pop(path, Counter()).values())
            self._gone.setdefault(parent, Counter())[path] += below + 1
        else:
            self._files[parent] += 1
        self._count += 1
        # An upper bound of the number of counts: counting them each time would be slow.
        if self._count > self._max:
            self._fold()

    def top(self, rows: int) -> list[tuple[str | None, int]]:
        """The ``rows`` directories with the most, the most first; the rest is folded into those above it."""
        found: list[tuple[str | None, int]] = [*fold_smallest(self._all(), rows).items()]
        if self._unknown:
            found.append((None, self._unknown))
        return sorted(found, key=lambda row: (-row[1], row[0] or ""))

    def _all(self) -> Counter[str]:
        counts = Counter(self._files)
        for gone in self._gone.values():
            counts.update(gone)
        return counts

    def _fold(self) -> None:
        counts = self._all()
        if len(counts) > self._max // 2:
            # From here on a deleted directory may be counted with its parent.
            self._files, self._gone = fold_smallest(counts, self._max // 2), {}
            counts = self._files
        self._count = len(counts)


def fold_smallest(counts: Counter[str], rows: int) -> Counter[str]:
    """Reduce the counts to ``rows``: the smallest is joined with its nearest neighbour, in the directory above both."""
    kept = {_names(path): count for path, count in counts.items()}
    order = sorted(kept)
    smallest = [(count, names) for names, count in kept.items()]
    heapq.heapify(smallest)
    while len(kept) > max(rows, 1):
        count, names = heapq.heappop(smallest)
        if kept.get(names) != count:
            continue  # stale: it has grown and is in the heap again, or was joined
        at = bisect_left(order, names)
        beside = [order[near] for near in (at - 1, at + 1) if 0 <= near < len(order)]
        other = max(beside, key=lambda near: len(_shared(names, near)))
        above = _shared(names, other)
        joined = kept.pop(names) + kept.pop(other)
        for gone in (names, other):
            del order[bisect_left(order, gone)]
        if above not in kept:
            insort(order, above)
        kept[above] = kept.get(above, 0) + joined
        heapq.heappush(smallest, (kept[above], above))
    return Counter({"/" + "/".join(names): count for names, count in kept.items()})


def _names(path: str) -> tuple[str, ...]:
    return tuple(path.split("/")[1:]) if path != "/" else ()


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return one[:length]

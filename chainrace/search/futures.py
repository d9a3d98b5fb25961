"""What each actor may still do: learned from what it did, with the answers that it got.

A future counts as known only for the same history with the same answers. What an actor does
after an answer that was never given before is not known, and is taken to touch everything,
until it has been seen.
"""

from dataclasses import dataclass, field

from chainrace.model.actors import owner
from chainrace.model.trial import Call
from chainrace.search.footprints import Footprints
from chainrace.search.state import Local, State
from chainrace.search.step import EVERYTHING, Footprint


@dataclass(frozen=True)
class _Onward:
    """One step onward from a place: whose, which, and where to."""

    lane: str
    call: Call
    to: str


@dataclass
class Futures:
    """Places of each actor by key, and the steps that were seen to lead on from them."""

    footprints: Footprints
    _onward: dict[str, dict[_Onward, None]] = field(default_factory=dict)
    _ended: dict[str, frozenset[str]] = field(default_factory=dict)  # place -> what has ended
    _memo: dict[tuple[str, str], tuple[Footprint, bool]] = field(default_factory=dict)
    # What was asked for, with the place: the least that anything was left out by.
    _watched: dict[tuple[str, str], tuple[Local, Footprint]] = field(default_factory=dict)
    _stamp: tuple[int, int] = (0, 0)

    def learn(self, lane: str, before: Local, after: Local) -> None:
        """Take in one step of an actor."""
        name = owner(lane)
        if len(after.histories[name]) <= len(before.histories[name]):
            return  # it was let go on by another
        made = after.histories[name][len(before.histories[name])]
        if made.looked:
            # What came of its shell's look may hang on all that there is.
            self.footprints.widen(made.call)
        known = self._onward.setdefault(before.key, {})
        self.meet(after)
        onward = _Onward(lane, made.call, after.key)
        if onward not in known:
            known[onward] = None
            self._memo.clear()

    def meet(self, place: Local) -> None:
        """Take in a place, and what has ended there."""
        self._ended[place.key] = frozenset(name for name, over in place.ended.items() if over)

    def future(self, lane: str, state: State) -> Footprint:
        """All that a lane may still touch from a state on, its next step included."""
        return self._future(lane, state.place(lane))[0]

    def _future(self, lane: str, place: Local) -> tuple[Footprint, bool]:
        self.meet(place)
        found, known = self._now(lane, place)
        _, asked = self._watched.get((place.key, lane), (place, EVERYTHING))
        if asked == EVERYTHING:
            self._watched[place.key, lane] = (place, found)
        return found, known

    def _now(self, lane: str, place: Local) -> tuple[Footprint, bool]:
        stamp = (len(self.footprints.widened), len(self.footprints.joined))
        if stamp != self._stamp:
            self._stamp = stamp
            self._memo.clear()
        call = place.waiting.get(lane)
        own = Footprint() if call is None else self.footprints.of(call)
        after, known = self._after(lane, place.key)
        if EVERYTHING in (after, own):
            return EVERYTHING, known
        return own | after, known

    def known(self, lane: str, state: State) -> bool:
        """Whether all that a lane may still do was seen to its end."""
        return self._future(lane, state.place(lane))[1]

    def grown(self) -> bool:
        """Whether a future that was asked for is larger by now: what was left out by it may not be.

        Asked for anew afterwards.
        """
        for (_, lane), (place, asked) in self._watched.items():
            if asked != EVERYTHING and not self._now(lane, place)[0] <= asked:
                self._watched.clear()
                return True
        return False

    def _after(self, lane: str, key: str) -> tuple[Footprint, bool]:
        """What the lane does from a place on, and whether that was seen to its end."""
        found = self._memo.get((key, lane))
        if found is not None:
            return found
        # Places have no cycles: each holds its actor's history.
        stack = [key]
        while stack:
            at = stack[-1]
            if (at, lane) in self._memo:
                stack.pop()
                continue
            onward = self._onward.get(at, {})
            left = [one.to for one in onward if (one.to, lane) not in self._memo]
            if left:
                stack.extend(left)
                continue
            stack.pop()
            if not onward:
                over = owner(lane) in self._ended.get(at, ())
                self._memo[at, lane] = (Footprint() if over else EVERYTHING, over)
                continue
            total, known = Footprint(), True
            for one in onward:
                further, seen = self._memo[one.to, lane]
                total |= further
                known = known and seen
                if owner(one.lane) == owner(lane):
                    total |= self.footprints.of(one.call)
            self._memo[at, lane] = (total, known)
        return self._memo[key, lane]

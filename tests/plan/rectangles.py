"""Planning problems that are hard and yet have a plan: a rectangle cut to pieces."""

import random

from workbench.plan import Buffer


def cut_rectangle(seed: int, count: int, capacity: int, positions: int) -> list[Buffer]:
    """A problem with a plan that wastes no byte: a rectangle of capacity x positions cut into buffers at random.

    Straight cuts, and now and then the pinwheel that no straight cuts make:    aab
                                                                                ceb
                                                                                cdd
    """
    chance = random.Random(seed)
    pieces = [(0, positions, 0, capacity)]
    while len(pieces) < count:
        left, right, low, high = pieces.pop(chance.choices(range(len(pieces)), [_area(p) for p in pieces])[0])
        if right - left > 5 and high - low > 5 and chance.random() < 0.2:
            x1, x2 = sorted(chance.sample(range(left + 1, right), 2))
            y1, y2 = sorted(chance.sample(range(low + 1, high), 2))
            pieces += [(left, x2, low, y1), (x2, right, low, y2), (x1, right, y2, high), (left, x1, y1, high)]
            pieces += [(x1, x2, y1, y2)]
        elif right - left > 1 and (high - low < 2 or chance.random() < 0.5):
            middle = chance.randrange(left + 1, right)
            pieces += [(left, middle, low, high), (middle, right, low, high)]
        elif high - low > 1:
            middle = chance.randrange(low + 1, high)
            pieces += [(left, right, low, middle), (left, right, middle, high)]
        else:
            pieces.append((left, right, low, high))
    chance.shuffle(pieces)
    return [Buffer(f"b{at}", left, right, high - low) for at, (left, right, low, high) in enumerate(pieces)]


def _area(piece: tuple[int, int, int, int]) -> int:
    left, right, low, high = piece
    return (right - left) * (high - low)

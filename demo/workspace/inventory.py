"""The stock of a small shop."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Item:
    """Something on the shelf; the price is in cents."""

    name: str
    price: int
    quantity: int

    def is_sold_out(self) -> bool:
        """Whether none is left."""
        return self.quantity == 0


@dataclass
class Inventory:
    """All items, by name."""

    items: dict[str, Item] = field(default_factory=dict)

    def add(self, item: Item) -> None:
        """Put an item on the shelf, or more of one that is there."""
        if item.name in self.items:
            self.items[item.name].quantity += item.quantity
        else:
            self.items[item.name] = item

    def total_value(self) -> int:
        """What everything is worth, in cents."""
        return sum(item.price * item.quantity for item in self.items.values())

    def sold_out(self) -> list[Item]:
        """The items of which none is left."""
        return [item for item in self.items.values() if item.is_sold_out()]

    def cheapest(self) -> Item | None:
        """The item with the lowest price, None when there are none."""
        if not self.items:
            return None
        return min(self.items.values(), key=lambda item: item.price)

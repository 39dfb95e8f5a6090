"""The columns of a raw frame of orders, in their order, with their units."""

from __future__ import annotations

COLUMNS: dict[str, str] = {
    "entity": "the order's name",
    "time": "the moment, in the exchange's own time",
    "interval": "number of the interval that begins now, from 0; at the order's end the number of intervals",
    "intervals": "intervals of equal length in which the order must be done",
    "side": "1 a purchase, -1 a sale",
    "quantity": "shares at arrival",
    "remaining": "shares still to be traded now, as the order was worked",
    "arrival": "mid price when the order arrived",
    "price": "mid price now; in recorded orders without the order's own impact",
    "spread_bp": "ask less bid, in bp of the mid, now",
    "imbalance": "(bid depth - ask depth) / (bid depth + ask depth) at the best prices, now",
    "volatility_bp": "volatility of the price in the interval that ended now, in bp",
    "expected_volatility_bp": "usual volatility of the interval that begins now, in bp",
    "volume": "shares that the market traded in the interval that ended now",
    "usual_volume": "usual shares of that interval",
    "expected_volume": "usual shares of the interval that begins now; at the order's end 0",
    "expected_rest": "usual shares from now to the order's end",
    "daily_volume": "usual shares a day",
    "known_at": "when the row was known: now",
}
CONSTANT = ("intervals", "side", "quantity", "arrival", "daily_volume")
"""Columns that an order keeps."""

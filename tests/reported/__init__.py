"""Messages whose receipts come late, twice, in any order, astray and forged, judged by the provider's log."""

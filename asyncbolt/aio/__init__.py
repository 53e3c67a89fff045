"""Bolt on asyncio: transports and protocols, and nothing that knows what a statement means."""

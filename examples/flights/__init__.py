"""The flights demo in parts.

`source`: the CSV files. `graph`: what they become. `load`, `readback`, `questions`: the work over Bolt.
`server`: ArcadeDB in a process of its own. `report`: what is printed.
"""

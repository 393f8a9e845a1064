"""Cache of a corpus in a store.

fetcher   the cache, and the threads that fill it and answer what graphs ask
asking    a graph asks, and waits
"""

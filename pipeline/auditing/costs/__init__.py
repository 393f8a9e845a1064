"""Costs of a corpus in a store: what is asked of it, at the prices that a user has.

prices     a file of list prices
preparing  the requests of a prepare into a store
epochs     the requests and bytes of an epoch of training
"""

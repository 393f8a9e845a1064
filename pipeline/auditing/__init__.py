"""Auditing: questions about a corpus that nothing else asks.

verify            is it what its manifest says?
repair            rebuild what is not, from the sources
trace             which text was in a batch? `passages`: where in the sources?
estimate          what will a plan make, and take?
shuffle_quality   how does the order compare with a perfect shuffle?
"""

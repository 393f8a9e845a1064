"""Auditing: questions about a corpus, or about records, that nothing else asks.

verify            is it what its manifest says?
repair            rebuild what is not, from the sources
trace             which text was in a batch? `passages`: where in the sources?
record_trace      which records were in a batch?
estimate          what will a plan make, and take?
shuffle_quality   how does the order compare with a perfect shuffle? `record_quality`: of records
"""

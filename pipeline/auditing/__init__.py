"""Auditing: questions about a corpus, or about records, that nothing else asks.

verify            is it what its manifest says?
near_duplicates   what stands in two splits with some words changed? `signatures`: of passages
balance           is one source nearly all of a small split?
repair            rebuild what is not, from the sources
trace             which text was in a batch? `passages`: where in the sources?
record_trace      which records were in a batch?
estimate          what will a plan make, and take? `samples`: of which text?
costs             what will a store ask for it?
shuffle_quality   how does the order compare with a perfect shuffle? `record_quality`: of records
"""

"""Pages to look at: a corpus and its runs as one HTML file that needs no network.

    content   a corpus -> counts of its tokens, lengths of its documents, sample windows
    origins   where the rows of a batch come from, shuffled and not
    course    a run -> what it measured, its spikes and its samples
    plots     figures -> SVG whose colours are those of the page
    report    all of it -> the page (`report.html.jinja`)

matplotlib and jinja2 (`pip install 'textreel[report]'`) are imported when a page is made.
"""

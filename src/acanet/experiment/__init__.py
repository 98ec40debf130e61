"""Systems under one recipe: trained, measured on the same trial lists, compared pair by pair, and shown on one page.

    run       trains, measures and compares; each system gets a run card
    run_card  what a system is, what it cost, what it reached, and the command that does it again
    origin    the machine, the code and the versions that a run card tells
    speed     how long models take, as `benchmarks/inference.py` writes it
    page      run cards of any number of experiments as one page of Markdown with pictures
    demo      the whole road on synthetic voices

Reading cards and making the page does not load torch.
"""

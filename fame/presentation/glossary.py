"""A word of help at each term: one sentence or two, for somebody who does not know the model."""

TERMS: dict[str, str] = {
    "Item": "What the catalogue holds: a film, a product.",
    "Click": (
        "One event in a person's history: a rating or a review counts as one, whatever it said."
    ),
    "Head (facet)": (
        "A part of the model with its own view of every item. Each head ranks the whole catalogue "
        "alone. The idea is that each sees another facet, such as brand or genre; whether it "
        "does is a question of evidence, so a head has a number until something names it. Hold the "
        "mouse over its name to see what that rests on."
    ),
    "Gate": (
        "How much each head counts in the final list, as shares that add up to 100 %. The model "
        "works it out anew from every history."
    ),
    "Expert": (
        "One of several ways in which a head can read the history; each looks back at the clicks "
        "with a question of its own."
    ),
    "Router": (
        "How much each expert counts inside its head, as shares that add up to 100 % in every head."
    ),
    "Fused list": "The final list: all heads' scores, weighted by the gate and added up.",
    "Ledger": (
        "The account of a score: what each head put in, gate share times the head's own score. "
        "The parts add up to the score exactly; bars to the left count against the item."
    ),
    "Centred": (
        "Every score has the average over all items taken off, so 0 is an average item. Only such "
        "differences decide a ranking."
    ),
    "Raw": (
        "Scores as the model computes them. Adding the same vector to every item changes them "
        "without changing any ranking, so a raw bar means nothing by itself."
    ),
    "Held-out item": (
        "The last thing this person really chose. The model was never shown it; where it stands "
        "in the list tests the model."
    ),
    "Intervention": (
        "Something is changed and the model is run again: a head or an expert is muted, or a "
        "click left out. It shows what the change does; it is no share of a score."
    ),
    "Influence": (
        "What leaving a click out of the history does to the list, or to one item's score. "
        "Effects of several clicks do not add up, since clicks can stand in for one another."
    ),
    "Deletion test": (
        "Whether an explanation is true beyond its first click: taking away that click and those "
        "named next must change more than taking away the same first click and as many others at "
        "random. The first click proves nothing, because it was found by taking clicks away; so "
        "all orders share it, and the test counts from two on. An order drawn at random would "
        "hold for at most 2.5 % of people, and fail for as many."
    ),
    "Rank-biased overlap": (
        "How alike two lists are, from 0 to 1, where the first ranks count most: with p = 0.9 the "
        "first ten carry 86 % of the weight."
    ),
    "Popularity": "The baseline that recommends to everybody what was clicked most.",
    "Markov chain": (
        "The baseline that recommends what most often came right after the latest click."
    ),
    "Item-kNN": (
        "The baseline that recommends items which the same people chose as the latest clicks; the "
        "latest click counts most."
    ),
    "SASRec": (
        "The model that FAME is measured against: the same body, one query, neither heads of its "
        "own nor a gate."
    ),
    "Embedding": (
        "The numbers that stand for an item in the model; items with similar numbers are treated "
        "alike. A head sees its own projection of them."
    ),
    "UMAP": (
        "A way to draw many dimensions in two so that neighbours stay near. Distances between "
        "far groups, and the axes, mean nothing."
    ),
    "Epoch": "One pass of the training over all clicks it learns from.",
    "NDCG@10": (
        "How high the held-out item stands in the first ten, averaged over people: 1 is always "
        "first, 0 is never among the ten."
    ),
    "HR@10": "The share of people whose held-out item is among the first ten.",
}


def explain(*terms: str) -> str:
    """The help text for some terms, ready for a widget's or a heading's ``help``."""
    return "\n\n".join(f"**{term}.** {TERMS[term]}" for term in terms)

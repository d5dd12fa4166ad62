"""Sections 5.7.3, 6.3 and 7.5: gradients by backpropagation against numerical ones."""

from collections.abc import Mapping

import numpy as np

from cnn_core import plots
from cnn_core.book.experiments.experiment import Claim, Experiment, Outcome, Run, columns
from cnn_core.book.experiments.figures import COLORS, tidy
from cnn_core.book.multi_layer_net_extend import MultiLayerNetExtend
from cnn_core.book.network import Network
from cnn_core.book.simple_convnet import SimpleConvNet
from cnn_core.book.two_layer_net import TwoLayerNet

# Central differences with a step of 1e-4 see kinks of ReLU that the exact gradient does not; the constant
# 1e-7 in the logarithm of the book's loss adds about as much.
_NEGLIGIBLE = 1e-4


def gradient_check(run: Run) -> Outcome:
    """The two-layer network of chapter 5 on three images."""
    x, t = run.rows.x_train[:3].astype(float), run.rows.t_train[:3]
    hidden = run.amount(50, 10)
    network = TwoLayerNet(x.shape[1], hidden, 10, rng=0)
    published = {"W1": 1.8e-6, "b1": 2.4e-5, "W2": 6.2e-9, "b2": 1.4e-7}
    return _compare("The two-layer network, three images", network, x, t, published)


def batch_norm_gradient_check(run: Run) -> Outcome:
    """A network with batch normalisation, on one image as in the book, and on eight."""
    x, t = run.rows.x_train[:8].astype(float), run.rows.t_train[:8]
    x = x[:, x.std(axis=0) > 0.1][:, :60]  # pixels that differ: the others have no gradient to compare
    network = MultiLayerNetExtend(x.shape[1], [12, 12], 10, use_batchnorm=True, rng=0)
    one = network.gradient(x[:1], t[:1])
    below = [key for key in one if key not in ("W3", "b3", "gamma2", "beta2")]
    outcome = _compare("Two batch normalisations, eight images", network, x, t, {})
    claims = [
        *outcome.claims,
        Claim(
            "on one image nothing below the last normalisation has a gradient: its deviation is zero",
            [all(np.abs(one[key]).max() < 1e-12 for key in below)],
        ),
    ]
    note = (
        "The book checks on a batch of one image. Normalised over one image every value is zero, so that "
        "ReLU stands on its kink and the gradients of all weights but the last are zero: a check that "
        "cannot fail. Eight images are shown here."
    )
    return Outcome(outcome.ours, claims, outcome.figures, outcome.data, [note])


def convnet_gradient_check(run: Run) -> Outcome:
    """A small convolutional network on one random image."""
    rng = np.random.default_rng(0)
    conv = {"filter_num": 10, "filter_size": 3, "pad": 0, "stride": 1}
    network = SimpleConvNet((1, 10, 10), conv, hidden_size=10, output_size=10, weight_init_std=0.01, rng=1)
    published = {"W1": 1.6e-6, "b1": 2.9e-6, "W2": 5.0e-11, "b2": 3.7e-9, "W3": 9.7e-11, "b3": 1.8e-7}
    x, t = rng.random((1, 1, 10, 10)), np.array([1])
    outcome = _compare("A convolutional network, one image", network, x, t, published)
    note = (
        "What remains in b3 is not an error of backpropagation: the book's loss has log(y + 1e-7) where the "
        "gradient y - t belongs to log(y). With y near 0.1 that makes (0.9 + 9 · 0.1)/10 · 1e-6 = 1.8e-7."
    )
    return Outcome(outcome.ours, outcome.claims, outcome.figures, outcome.data, [note])


def _compare(
    title: str, network: Network, x: np.ndarray, t: np.ndarray, published: Mapping[str, float]
) -> Outcome:
    """Mean absolute difference of the two gradients, for each parameter."""
    exact, numerical = network.gradient(x, t), network.numerical_gradient(x, t)
    differences = {key: float(np.abs(exact[key] - numerical[key]).mean()) for key in exact}
    sizes = {key: float(np.abs(exact[key]).mean()) for key in exact}

    figure = plots.new_figure(7.5, 3.6, f"{title}: backpropagation against central differences")
    panel = figure.subplots()
    places = np.arange(len(exact))
    floor = 1e-18
    bars = [("mean size of the gradient", sizes, COLORS[5]), ("mean difference", differences, COLORS[0])]
    if published:
        bars.append(("mean difference in the book", dict(published), COLORS[3]))
    width = 0.8 / len(bars)
    for i, (label, values, color) in enumerate(bars):
        heights = [max(values[key], floor) for key in exact]
        panel.bar(places + (i - (len(bars) - 1) / 2) * width, heights, width, color=color, label=label)
    panel.set_yscale("log")
    panel.set_xticks(places, list(exact))
    tidy(panel, "parameter", "absolute value")
    panel.set_ylim(bottom=1e-14, top=30 * max(sizes.values()))
    panel.legend(frameon=False, ncols=len(bars), fontsize=9)

    claims = [
        Claim(
            f"no gradient differs by more than {_NEGLIGIBLE:g} in the mean",
            [max(differences.values()) < _NEGLIGIBLE],
        )
    ]
    if published:
        claims.append(
            Claim(
                "none by more than ten times what the book prints",
                [all(differences[key] < 10 * value for key, value in published.items())],
            )
        )
    rows = [(key, sizes[key], differences[key], published.get(key, "")) for key in exact]
    data = {"": columns(("parameter", "mean_size", "mean_difference", "published"), rows)}
    return Outcome(_listed(differences), claims, {"": figure}, data)


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {value:.1e}" for key, value in values.items())


EXPERIMENTS = (
    Experiment(
        "gradient-check",
        "5.7.3",
        "Gradient check of the two-layer network",
        "W1 1.8e-06, b1 2.4e-05, W2 6.2e-09, b2 1.4e-07",
        gradient_check,
    ),
    Experiment(
        "batch-norm-gradient-check",
        "6.3.1",
        "Gradient check of batch normalisation",
        "zeros: the book checks on one image, where all gradients vanish",
        batch_norm_gradient_check,
    ),
    Experiment(
        "convnet-gradient-check",
        "7.5",
        "Gradient check of a convolutional network",
        "W1 1.6e-06, b1 2.9e-06, W2 5.0e-11, b2 3.7e-09, W3 9.7e-11, b3 1.8e-07",
        convnet_gradient_check,
        uses_images=False,
    ),
)

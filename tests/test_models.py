"""The networks: sizes, shapes, images of other sizes, and that they learn."""

import numpy as np
import pytest

from cnn_core.gradcheck import check_model, tie_free
from cnn_core.layers import BatchNorm2d, Dropout, Residual, Sequential
from cnn_core.losses import CrossEntropyLoss
from cnn_core.models import MLP, MODELS, VGG, DeepConvNet, LeNet, ResNet20, SimpleConvNet

# name: (parameters with the defaults, shape of the default input)
SIZES = {
    "digits": (85_066, (1, 8, 8)),
    "simple": (433_890, (1, 28, 28)),
    "deep": (123_552, (1, 28, 28)),
    "mlp": (89_610, (1, 28, 28)),
    "lenet": (61_706, (1, 28, 28)),
    "vgg": (1_187_274, (3, 32, 32)),
    "resnet20": (272_474, (3, 32, 32)),
}
SMALL = {
    "digits": {"filters": 4, "hidden": 16},
    "simple": {"filters": 4, "hidden": 16},
    "deep": {},
    "mlp": {"hidden": (16,)},
    "lenet": {},
    "vgg": {"widths": ((4,), (8, 8))},
    "resnet20": {"width": 4, "blocks": 1},
}


def test_every_network_has_a_row():
    assert MODELS.keys() == SIZES.keys() == SMALL.keys()


@pytest.mark.parametrize("name", MODELS)
def test_default_network_has_the_published_size(name):
    parameters, shape = SIZES[name]
    model = MODELS[name](rng=0)
    assert isinstance(model, Sequential)
    assert model.num_parameters == parameters
    assert model.output_shape((2, *shape)) == (2, 10)
    assert model.dtype == np.float32


@pytest.mark.parametrize("name", MODELS)
def test_seed_dtype_and_classes_are_passed_on(name):
    build = MODELS[name]
    shape = (2, 16, 16)
    first, second, other = (build(shape, 7, rng=rng, dtype=np.float64, **SMALL[name]) for rng in (1, 1, 2))
    x = np.random.default_rng(0).standard_normal((3, *shape))
    y = first(x)
    assert y.shape == (3, 7)
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, second(x))
    assert not np.array_equal(y, other(x))
    np.testing.assert_array_equal(first(x, training=True), second(x, training=True))


@pytest.mark.parametrize("name", MODELS)
def test_gradients_agree_with_finite_differences(name):
    model = MODELS[name]((1, 12, 12), 3, rng=0, **SMALL[name])
    x = tie_free((4, 1, 12, 12))
    check_model(model, CrossEntropyLoss(), x, np.array([0, 2, 1, 1]), max_coordinates=16).assert_ok()


@pytest.mark.parametrize("name", MODELS)
def test_networks_learn_a_small_problem(name):
    rng = np.random.default_rng(0)
    t = np.arange(12) % 3
    x = rng.standard_normal((12, 1, 12, 12)) + np.eye(3)[t].repeat(48, axis=1).reshape(12, 1, 12, 12)
    options = dict(SMALL[name]) | ({"dropout": 0.0} if name in ("digits", "deep") else {})
    model = MODELS[name]((1, 12, 12), 3, rng=1, dtype=np.float64, **options)
    criterion = CrossEntropyLoss()
    losses = []
    rate = 0.3 if name == "lenet" else 0.02
    for _ in range(15):
        losses.append(criterion(model(x, training=True), t))
        model.backward(criterion.backward(), need_dx=False)
        for key, value in model.params.items():
            value -= rate * model.grads[key]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", ["digits", "simple", "deep", "mlp", "vgg", "resnet20"])
def test_networks_take_images_of_8x8(name):
    assert MODELS[name]((1, 8, 8)).output_shape((5, 1, 8, 8)) == (5, 10)


@pytest.mark.parametrize(
    ("build", "shape", "message"),
    [
        (
            LeNet,
            (1, 8, 8),
            r'Conv2d "3": kernel 5 is larger .* AvgPool2d "2" gave 4 = \(8 \+ 2\*0 - 2\)//2 \+ 1',
        ),
        (SimpleConvNet, (1, 4, 4), r'Conv2d "0": kernel 5 is larger than the padded input 4'),
        (VGG, (3, 4, 4), r'MaxPool2d "20": kernel 2 is larger .* MaxPool2d "13" gave 1'),
        (DeepConvNet, (1, 2, 2), r'MaxPool2d "14": kernel 2 is larger'),
    ],
)
def test_an_image_too_small_is_refused_with_the_layer(build, shape, message):
    with pytest.raises(ValueError, match=message):
        build(shape)


@pytest.mark.parametrize("name", MODELS)
def test_bad_shapes_are_refused(name):
    with pytest.raises(ValueError, match="input_shape"):
        MODELS[name]((1, 28, 0))
    with pytest.raises(TypeError, match="input_shape"):
        MODELS[name]((1, 28, 28.0))


@pytest.mark.parametrize("name", [name for name in MODELS if name != "mlp"])
def test_an_image_needs_channels(name):
    with pytest.raises(
        ValueError, match=r"input_shape must be \(C, H, W\) without the batch, got \(28, 28\)"
    ):
        MODELS[name]((28, 28))


@pytest.mark.parametrize("name", MODELS)
def test_classes_must_be_positive(name):
    with pytest.raises(ValueError, match="out_features"):
        MODELS[name](classes=0)


def test_simple_network_has_the_options_of_the_book():
    model = SimpleConvNet(
        (3, 20, 20), 4, filters=5, kernel_size=3, stride=2, padding=1, hidden=7, init=("normal", 0.01), rng=0
    )
    assert model.output_shape((1, 3, 20, 20)) == (1, 4)
    assert 0.008 < model[0].weight.std() < 0.012
    assert model[4].in_features == 5 * 5 * 5


def test_deep_network_drops_logits_only_on_request():
    assert [i for i, layer in enumerate(DeepConvNet(rng=0)) if isinstance(layer, Dropout)] == [18]
    book = DeepConvNet(dropout_logits=True, dropout=0.3, rng=0)
    assert isinstance(book[-1], Dropout)
    assert book[-1].p == 0.3
    states = [str(state) for state in book.rng_state().values()]
    assert len(set(states)) == 2


def test_mlp_takes_flat_input_and_any_depth():
    assert MLP((20,), 3, hidden=()).num_parameters == 63
    assert MLP((20,), 3, hidden=(5, 4)).output_shape((2, 20)) == (2, 3)


def test_residual_network_has_twenty_layers_with_weights():
    model = ResNet20(rng=0)
    weighted = [name for name in model.params if name.endswith("weight") and model.params[name].ndim > 1]
    assert len([name for name in weighted if "shortcut" not in name]) == 20
    assert sum(isinstance(layer, Residual) for layer in model) == 9
    assert model[:-2].output_shape((1, 3, 32, 32)) == (1, 64, 1, 1)


def test_normalized_networks_fold_for_prediction():
    for name in ("vgg", "resnet20"):
        model = MODELS[name]((1, 8, 8), rng=0, dtype=np.float64, **SMALL[name])
        x = np.random.default_rng(0).standard_normal((4, 1, 8, 8))
        model(x, training=True)
        fast = model.for_inference()
        np.testing.assert_allclose(fast(x), model(x), rtol=1e-9, atol=1e-9)
        assert not any(isinstance(layer, BatchNorm2d) for layer in fast.modules())

"""Scripts in the manner of the book, with their imports changed and nothing else."""

import numpy as np
import pytest

from cnn_core.book import mnist
from cnn_core.data import Arrays, DataSet

SCRIPTS = {
    "chapter 4, own network on functions": """
from cnn_core.book.functions import *
from cnn_core.book.gradient import numerical_gradient

class Net:
    def __init__(self):
        self.params = {'W1': 0.01 * np.random.randn(784, 3), 'b1': np.zeros(3)}

    def predict(self, x):
        return softmax(np.dot(sigmoid(x), self.params['W1']) + self.params['b1'])

    def loss(self, x, t):
        return cross_entropy_error(self.predict(x), t)

net = Net()
x, t = np.random.rand(2, 784), np.array([[0, 0, 1], [1, 0, 0]])
grad = numerical_gradient(lambda w: net.loss(x, t), net.params['b1'])
assert abs(grad.sum()) < 1e-6
""",
    "chapter 4, two-layer network": """
import numpy as np
from cnn_core.book.mnist import load_mnist
from cnn_core.book.two_layer_net_ch04 import TwoLayerNet

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, one_hot_label=True)
network = TwoLayerNet(input_size=784, hidden_size=50, output_size=10)
for i in range(3):
    mask = np.random.choice(x_train.shape[0], 20)
    grad = network.gradient(x_train[mask], t_train[mask])
    for key in ('W1', 'b1', 'W2', 'b2'):
        network.params[key] -= 0.1 * grad[key]
    loss = network.loss(x_train[mask], t_train[mask])
print(network.accuracy(x_test, t_test))
""",
    "chapter 5, own network of layers": """
import numpy as np
from collections import OrderedDict
from cnn_core.book.layers import *
from cnn_core.book.gradient import numerical_gradient
from cnn_core.book.mnist import load_mnist

params = {}
params['W1'], params['b1'] = 0.01 * np.random.randn(784, 5), np.zeros(5)
params['W2'], params['b2'] = 0.01 * np.random.randn(5, 10), np.zeros(10)
layers = OrderedDict()
layers['Affine1'] = Affine(params['W1'], params['b1'])
layers['Relu1'] = Relu()
layers['Affine2'] = Affine(params['W2'], params['b2'])
lastLayer = SoftmaxWithLoss()

(x_train, t_train), _ = load_mnist(normalize=True, one_hot_label=True)

def loss(_):
    x = x_train[:3]
    for layer in layers.values():
        x = layer.forward(x)
    return lastLayer.forward(x, t_train[:3])

loss(None)
dout = lastLayer.backward(1)
for layer in reversed(list(layers.values())):
    dout = layer.backward(dout)
diff = np.average(np.abs(layers['Affine2'].dW - numerical_gradient(loss, params['W2'])))
assert diff < 1e-6, diff
col = im2col(np.random.rand(1, 1, 4, 4), 2, 2)
""",
    "chapter 6, optimizers": """
from collections import OrderedDict
from cnn_core.book.util import smooth_curve
from cnn_core.book.multi_layer_net import MultiLayerNet
from cnn_core.book.optimizer import *
from cnn_core.book.mnist import load_mnist

(x_train, t_train), _ = load_mnist(normalize=True)
for optimizer in (SGD(), Momentum(), AdaGrad(), Adam(), RMSprop(), Nesterov()):
    network = MultiLayerNet(input_size=784, hidden_size_list=[20, 20, 20, 20], output_size=10)
    losses = []
    for i in range(15):
        mask = np.random.choice(x_train.shape[0], 16)
        grads = network.gradient(x_train[mask], t_train[mask])
        optimizer.update(network.params, grads)
        losses.append(network.loss(x_train[mask], t_train[mask]))
    assert len(smooth_curve(losses)) == 15
""",
    "chapter 6, dropout and batch normalisation": """
from cnn_core.book.mnist import load_mnist
from cnn_core.book.multi_layer_net_extend import MultiLayerNetExtend
from cnn_core.book.trainer import Trainer
from cnn_core.book.util import shuffle_dataset

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
x_train, t_train = shuffle_dataset(x_train, t_train)
network = MultiLayerNetExtend(input_size=784, hidden_size_list=[10, 10], output_size=10,
                              use_dropout=True, dropout_ration=0.2, use_batchnorm=True)
trainer = Trainer(network, x_train, t_train, x_test, t_test, epochs=2, mini_batch_size=10,
                  optimizer='sgd', optimizer_param={'lr': 0.01}, verbose=True)
trainer.train()
assert len(trainer.train_acc_list) == len(trainer.test_acc_list) == 2
""",
    "chapter 7, training and filters": """
import numpy as np
from cnn_core.book.mnist import load_mnist
from cnn_core.book.simple_convnet import SimpleConvNet
from cnn_core.book.trainer import Trainer
from cnn_core.book.layers import Convolution

(x_train, t_train), (x_test, t_test) = load_mnist(flatten=False)
network = SimpleConvNet(input_dim=(1,28,28),
                        conv_param = {'filter_num': 4, 'filter_size': 5, 'pad': 0, 'stride': 1},
                        hidden_size=10, output_size=10, weight_init_std=0.01)
trainer = Trainer(network, x_train, t_train, x_test, t_test, epochs=1, mini_batch_size=20, optimizer='Adam',
                  optimizer_param={'lr': 0.001}, evaluate_sample_num_per_epoch=10)
trainer.train()
network.save_params("params.pkl")
network.load_params("params.pkl")
w = network.params['W1'][2]
out = Convolution(w.reshape(1, *w.shape), 0).forward(x_train[:1])
out = out.reshape(out.shape[2], out.shape[3])
""",
    "chapter 7, gradient check with labels in a column": """
import numpy as np
from cnn_core.book.simple_convnet import SimpleConvNet

network = SimpleConvNet(input_dim=(1, 6, 6),
                        conv_param = {'filter_num': 2, 'filter_size': 3, 'pad': 0, 'stride': 1},
                        hidden_size=4, output_size=10, weight_init_std=0.01)
X, T = np.random.rand(36).reshape((1, 1, 6, 6)), np.array([1]).reshape((1, 1))
grad_num, grad = network.numerical_gradient(X, T), network.gradient(X, T)
for key in ('W3', 'b3'):
    assert np.abs(grad_num[key] - grad[key]).mean() < 1e-6, key
""",
    "chapter 8, half precision": """
import numpy as np
from cnn_core.book.deep_convnet import DeepConvNet
from cnn_core.book.mnist import load_mnist

_, (x_test, t_test) = load_mnist(flatten=False)
network = DeepConvNet()
network.save_params("deep_convnet_params.pkl")
network.load_params("deep_convnet_params.pkl")
x_test = x_test.astype(np.float16)
for param in network.params.values():
    param[...] = param.astype(np.float16)
print(network.accuracy(x_test, t_test))
y = network.predict(x_test[:5], train_flg=False)
""",
}


@pytest.fixture(autouse=True)
def small_mnist(monkeypatch, tmp_path):
    rng = np.random.default_rng(0)

    def arrays(n):
        return Arrays(rng.random((n, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, n))

    data_set = DataSet("mnist", arrays(40), arrays(20), tuple("0123456789"))
    monkeypatch.setattr(mnist.data, "load_mnist", lambda: data_set)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_script(script):
    exec(compile(script, "script", "exec"), {"__name__": "__main__"})

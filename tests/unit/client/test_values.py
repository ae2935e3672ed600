"""Numbers and answers as the client gives them, without torch or NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from learnfleet.client.activations import activation, of_passes, of_variants
from learnfleet.client.arrays import Array
from learnfleet.client.metric_order import in_order
from learnfleet.client.values import Category, LrFinding, Prediction, Values
from learnfleet.v1 import prediction_service_pb2 as pb


def test_an_array_reads_as_numpys_does() -> None:
    numbers = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    array = Array.little_endian(numbers.tobytes(), (2, 3, 4))
    assert (array.shape, array.ndim, len(array), array.dtype) == ((2, 3, 4), 3, 2, "float32")
    for key in (0, -1, slice(0, 1), (1, 2), (1, 2, 3), (slice(None), 1), (0, slice(1, 3), 2)):
        assert np.array_equal(np.asarray(array[key]), numbers[key])
    assert array.tolist() == numbers.tolist()
    assert (array.max(), array.min(), array.sum(), array.mean()) == (23, 0, 276, 11.5)
    assert np.array_equal(np.asarray(array[0].argmax(dim=1)), numbers[0].argmax(axis=1))
    assert np.array_equal(array.numpy(), numbers)
    assert [row.tolist() for row in array] == numbers.tolist()


def test_an_empty_array_has_its_shape() -> None:
    empty = Array.little_endian(b"", (0, 10))
    assert (len(empty), empty.tolist(), np.asarray(empty).shape) == (0, [], (0, 10))


def test_what_is_not_in_an_array_is_an_error() -> None:
    with pytest.raises(IndexError, match="there is no row 3: there are 3"):
        Array.of([1.0, 2.0, 3.0])[3]
    with pytest.raises(ValueError, match="3 numbers do not fill the shape"):
        Array.of([1.0, 2.0, 3.0]).reshaped((2, 2))


def test_values_are_a_list_that_knows_its_names() -> None:
    found = Values(in_order({"accuracy": 0.9, "f_beta": 0.5, "valid_loss": 0.3}, ["FBeta", "accuracy"]))
    assert found == [0.3, 0.5, 0.9]
    assert (found[1], found["accuracy"], found[-1:], dict(found)["valid_loss"]) == (0.5, 0.9, [0.9], 0.3)
    assert repr(found) == "[valid_loss=0.300000, f_beta=0.500000, accuracy=0.900000]"
    with pytest.raises(KeyError, match="there are valid_loss, f_beta, accuracy"):
        found["f1"]


def test_two_metrics_of_a_name_keep_their_order() -> None:
    found = {"top_k_accuracy_2": 1.0, "top_k_accuracy": 0.8, "valid_loss": 0.1, "accuracy": 0.7}
    asked_for = [("top_k_accuracy", {"k": 2}), "accuracy", ("top_k_accuracy", {"k": 5})]
    assert list(in_order(found, asked_for)) == ["valid_loss", "top_k_accuracy", "top_k_accuracy_2", "accuracy"]


def test_a_prediction_is_fastais_triple() -> None:
    category, index, probabilities = Prediction("dog", 1, (0.2, 0.8), (), "models/pets@best")
    assert isinstance(category, Category)
    assert (str(category), category.obj, category.data, index) == ("dog", "dog", 1, 1)
    assert isinstance(probabilities, Array)
    assert (probabilities.tolist(), probabilities.argmax()) == ([0.2, 0.8], 1)


def test_several_labels_are_zeros_and_ones_and_numbers_are_numbers() -> None:
    labels = Prediction("a;c", -1, (0.9, 0.1, 0.6), (), "m", "multi_category", ("a", "c"))
    item, chosen, _ = labels
    assert (str(item), chosen.tolist()) == ("a;c", [1.0, 0.0, 1.0])  # type: ignore[union-attr]
    number = Prediction("", -1, (), (), "m", "float", values=(2.5,))
    assert (str(number[0]), number[1].tolist()) == ("2.5", [2.5])  # type: ignore[union-attr]


def test_suggestions_are_read_by_name_by_attribute_and_in_the_order_asked_for() -> None:
    found = LrFinding(0, (1e-3, 1e-2), (1.0, 0.5), {"steep": 1e-3, "minimum": 1e-2})
    assert (found.steep, found["minimum"], found.valley) == (1e-3, 1e-2, None)
    minimum, steep = found.only(["minimum", "steep"])
    assert (minimum, steep) == (1e-2, 1e-3)


def test_activations_go_by_name_and_test_time_augmentation_is_one_of_two() -> None:
    assert activation(None) == pb.ACTIVATION_UNSPECIFIED
    assert activation("sigmoid") == pb.ACTIVATION_SIGMOID
    with pytest.raises(TypeError, match="no code travels: give one of 'none', 'softmax', 'sigmoid'"):
        activation(abs)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be one of 'none', 'softmax', 'sigmoid'"):
        activation("relu")
    apart = of_variants(None, 1.2)
    assert (apart.apart, apart.HasField("beta"), apart.scale) == (True, False, 1.2)
    assert not of_variants(0.0, 1.35).apart
    assert of_passes(3, 0.5, use_max=True) == pb.TestTimeAugmentation(passes=3, beta=0.5, use_max=True)
    with pytest.raises(ValueError, match="n is 0"):
        of_passes(0, 0.5, use_max=False)

"""Custom Keras policies, written as for Rasa Core 0.9."""

from __future__ import annotations

from typing import Any

from rasa_core.policies.keras_policy import KerasPolicy


class LstmPolicy(KerasPolicy):
    """A recurrent network over the last states, or over all of them."""

    def model_architecture(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Any:
        from keras.layers import LSTM, Activation, Dense, Masking, TimeDistributed
        from keras.models import Sequential

        model = Sequential()
        if len(output_shape) == 1:
            model.add(Masking(mask_value=-1, input_shape=input_shape))
            model.add(LSTM(self.rnn_size, dropout=0.2))
            model.add(Dense(input_dim=self.rnn_size, units=output_shape[-1]))
        else:
            model.add(Masking(mask_value=-1, input_shape=(None, input_shape[1])))
            model.add(LSTM(self.rnn_size, return_sequences=True, dropout=0.2))
            model.add(TimeDistributed(Dense(units=output_shape[-1])))
        model.add(Activation("softmax"))
        model.compile(loss="categorical_crossentropy", optimizer="rmsprop", metrics=["accuracy"])
        return model


class LinearPolicy(KerasPolicy):
    """A policy whose model has one layer, for the features of any featurizer, and is not compiled."""

    def model_architecture(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Any:
        from keras import Input, Sequential
        from keras.layers import Dense, Flatten

        return Sequential([Input(input_shape), Flatten(), Dense(output_shape[-1], activation="softmax")])


class StepwisePolicy(KerasPolicy):
    """One layer over each state of a whole dialogue."""

    def model_architecture(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> Any:
        from keras import Input, Sequential
        from keras.layers import Dense, Masking
        from keras.optimizers import Adam

        actions = Dense(output_shape[-1], activation="softmax")
        model = Sequential([Input((None, input_shape[-1])), Masking(mask_value=-1), actions])
        model.compile(Adam(0.1), loss="categorical_crossentropy")
        return model

"""JAX: an LSTM cell under lax.scan, the input product before the loop; optax's Adam."""

import jax
import jax.numpy as jnp
import optax
from timing import BATCH, EMBEDDING, LEARNING_RATE, UNITS, batch, options, report, vocabulary_size

DTYPE = jnp.bfloat16 if "bfloat16" in options else jnp.float32
keys = jax.random.split(jax.random.key(0), 4)
glorot, orthogonal = jax.nn.initializers.glorot_uniform(), jax.nn.initializers.orthogonal()
parameters = {
    "embedding": jax.random.uniform(
        keys[0], (vocabulary_size, EMBEDDING), minval=-0.05, maxval=0.05
    ),
    "kernel": glorot(keys[1], (EMBEDDING, 4 * UNITS)),
    "recurrent": orthogonal(keys[2], (UNITS, 4 * UNITS)),
    "bias": jnp.zeros(4 * UNITS).at[UNITS : 2 * UNITS].set(1.0),
    "logits": glorot(keys[3], (UNITS, vocabulary_size)),
    "logits_bias": jnp.zeros(vocabulary_size),
}
optimizer = optax.adam(LEARNING_RATE)
state = optimizer.init(parameters)


def loss_of(parameters, inputs, targets):
    cast = {name: value.astype(DTYPE) for name, value in parameters.items()}
    projected = cast["embedding"][inputs.T] @ cast["kernel"] + cast["bias"]  # [time, batch, 4u]

    def cell(carry, row):
        hidden, memory = carry
        gates = row + hidden @ cast["recurrent"]
        i, f, c, o = jnp.split(gates.astype(jnp.float32), 4, axis=-1)
        memory = jax.nn.sigmoid(f) * memory + jax.nn.sigmoid(i) * jnp.tanh(c)
        hidden = (jax.nn.sigmoid(o) * jnp.tanh(memory)).astype(DTYPE)
        return (hidden, memory), hidden

    start = (jnp.zeros((BATCH, UNITS), DTYPE), jnp.zeros((BATCH, UNITS)))
    _, hidden = jax.lax.scan(cell, start, projected)
    logits = (hidden @ cast["logits"]).astype(jnp.float32) + parameters["logits_bias"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets.T).mean()


@jax.jit
def update(parameters, state, inputs, targets):
    loss, gradients = jax.value_and_grad(loss_of)(parameters, inputs, targets)
    changes, state = optimizer.update(gradients, state)
    return optax.apply_updates(parameters, changes), state, loss


def step():
    global parameters, state
    parameters, state, loss = update(parameters, state, *batch("int32"))
    return loss


report(step)

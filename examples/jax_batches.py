"""JAX over `corpus.batches`: shuffled windows, without TensorFlow.

    python examples/jax_batches.py CORPUS [--steps 200] [--start_step 0]

Of several processes, give each `host_index=jax.process_index()` and
`host_count=jax.process_count()`.
"""

import argparse

import jax
import jax.numpy as jnp

import pipeline

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("corpus")
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--start_step", type=int, default=0, help="of a run that goes on")
arguments = parser.parse_args()

corpus = pipeline.open_corpus(arguments.corpus)
batches = corpus.batches(
    "train", seq_len=64, batch_size=64, seed=1, start_step=arguments.start_step
)

UNITS, CONTEXT = 64, 4
keys = jax.random.split(jax.random.key(0), 3)
parameters = {
    "embedding": jax.random.normal(keys[0], (corpus.vocabulary.size, UNITS)) * 0.1,
    "hidden": jax.random.normal(keys[1], (CONTEXT * UNITS, 2 * UNITS)) * 0.05,
    "logits": jax.random.normal(keys[2], (2 * UNITS, corpus.vocabulary.size)) * 0.05,
}


def loss_of(parameters, inputs, targets):
    """Cross-entropy of the next token, from the last few."""
    tokens = parameters["embedding"][inputs]  # [rows, seq_len, UNITS]
    shifted = [jnp.roll(tokens, shift, axis=1).at[:, :shift].set(0) for shift in range(CONTEXT)]
    hidden = jax.nn.relu(jnp.concatenate(shifted, axis=-1) @ parameters["hidden"])
    log_probabilities = jax.nn.log_softmax(hidden @ parameters["logits"])
    return -jnp.take_along_axis(log_probabilities, targets[..., None], axis=-1).mean()


@jax.jit
def update(parameters, inputs, targets):
    """A step of gradient descent."""
    loss, gradients = jax.value_and_grad(loss_of)(parameters, inputs, targets)
    return jax.tree.map(lambda value, grad: value - 2.0 * grad, parameters, gradients), loss


for step, (inputs, targets) in enumerate(batches, arguments.start_step + 1):
    parameters, loss = update(parameters, inputs, targets)
    if step % 50 == 0 or step == arguments.start_step + arguments.steps:
        print(f"step {step}: loss {loss:.3f}", flush=True)
    if step == arguments.start_step + arguments.steps:
        break

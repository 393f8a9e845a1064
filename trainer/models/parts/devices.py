"""Devices that TensorFlow computes on."""

import tensorflow as tf


def on_cpu() -> bool:
    """Whether TensorFlow computes on processors alone, without a GPU or a TPU."""
    return all(device.device_type == "CPU" for device in tf.config.list_logical_devices())

#!/usr/bin/env bash
# One TPU VM, from making it to training on it:
#   IMAGE=IMAGE ZONE=us-central2-b BUCKET=gs://BUCKET deploy/tpu-vm.sh
# IMAGE is deploy/Dockerfile's, built with --build-arg TENSORFLOW=tensorflow-tpu==2.20.0: the
# machine's own Python is older than textreel needs. Run it again to resume.
set -euo pipefail
name=textreel-tpu

gcloud compute tpus tpu-vm describe "$name" --zone="$ZONE" >/dev/null 2>&1 ||
    gcloud compute tpus tpu-vm create "$name" --zone="$ZONE" \
        --accelerator-type=v4-8 --version=tpu-ubuntu2204-base
gcloud compute tpus tpu-vm ssh "$name" --zone="$ZONE" --command="
    sudo docker run --rm --privileged --net=host $IMAGE \
        $BUCKET/corpus --output=$BUCKET/run \
        --strategy=tpu --tpu=local --batch_size=1024 --steps=100000 --save_every=10m"

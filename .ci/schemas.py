"""Compares the job files in deploy/ with the published types; see `.ci/schemas`."""

import re
import sys
from typing import Any

import yaml

SCALARS = {"str": str, "int": int, "float": (int, float), "bool": bool}


def check_openapi(value: Any, kind: str, place: str, models: dict[str, Any]) -> None:
    """Fails unless a value has only fields, and their types, that a generated class has.

    Args:
        value: what was read.
        kind: as the classes name types: `str`, `list[V1Container]`, `dict(str, str)`, a class.
        place: of the value, for messages.
        models: the classes by name.
    """
    if found := re.fullmatch(r"list\[(.*)\]", kind):
        assert isinstance(value, list), f"{place} must be a list"
        for index, item in enumerate(value):
            check_openapi(item, found[1], f"{place}[{index}]", models)
    elif found := re.fullmatch(r"dict\((.*?), (.*)\)", kind):
        assert isinstance(value, dict), f"{place} must be a mapping"
        for name, item in value.items():
            # A quantity, such as that of a limit, may be a number in YAML.
            given = str(item) if found[2] == "str" and isinstance(item, int) else item
            check_openapi(given, found[2], f"{place}.{name}", models)
    elif kind in SCALARS:
        assert isinstance(value, SCALARS[kind]), f"{place} must be {kind}, got {value!r}"
    else:
        model = models[kind]
        fields = {name: field for field, name in model.attribute_map.items()}
        assert isinstance(value, dict), f"{place} must be a mapping"
        for name, item in value.items():
            assert name in fields, f"{place} has no field {name}"
            check_openapi(item, model.openapi_types[fields[name]], f"{place}.{name}", models)
        # The classes refuse what lacks a required field.
        model(**{fields[name]: item for name, item in value.items()})


def check_tfjob(path: str) -> None:
    """Kubeflow's TFJob, with Kubernetes' pods in it."""
    import kubernetes.client
    from kubeflow.training import models

    with open(path, encoding="utf-8") as file:
        job = yaml.safe_load(file)
    known = {**vars(kubernetes.client), **vars(models)}
    check_openapi(job, "KubeflowOrgV1TFJob", path, known)


def check_vertex(path: str) -> None:
    """Vertex AI's CustomJobSpec."""
    from google.cloud.aiplatform_v1.types.custom_job import CustomJobSpec
    from google.protobuf import json_format

    with open(path, encoding="utf-8") as file:
        job = yaml.safe_load(file)
    json_format.ParseDict(job, CustomJobSpec.pb(CustomJobSpec()))


if __name__ == "__main__":
    check_tfjob(sys.argv[1])
    check_vertex(sys.argv[2])
    print("the job files fit the published types")

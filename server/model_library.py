"""The models of this machine as the settings have it: where to look, and a name's file.

The environment comes from config.py; agent/models/library does the looking.
"""

from pathlib import Path

from agent.models.library.catalogue import Catalogue, FoundModel, find_models, open_model
from agent.models.library.names import is_name, is_path
from agent.models.library.places import Places, model_places
from server.config import ConfigError, Settings, expanded, variables_of_others

MODELS_DIRECTORY = "models"


def own_directory(settings: Settings) -> Path | None:
    """Where mnemon keeps its own models; None: nowhere."""
    return settings.directory / MODELS_DIRECTORY if settings.directory else None


def kept_in(settings: Settings) -> Path:
    """The data directory, for what has to be kept.

    Raises:
        ConfigError: nothing is kept.
    """
    if settings.directory is None:
        raise ConfigError("':memory:' keeps nothing; name a directory with --data")
    return settings.directory


def places_of(settings: Settings) -> Places:
    """Where to look for models."""
    return model_places(variables_of_others(), Path.home(), own_directory(settings))


def catalogue_of(settings: Settings) -> Catalogue:
    """All models of this machine."""
    return find_models(places_of(settings))


def resolve(settings: Settings, text: str) -> FoundModel:
    """The model of a name of `mnemon models list`, or of a path.

    Raises:
        ModelFileInvalid: it is a path, and not to a model.
        UnknownModel: it is the name of none.
        AmbiguousModel: it is the name of several.
    """
    path = expanded(Path(text))
    if is_path(text) or path.is_file():
        return open_model(path.absolute())
    return catalogue_of(settings).resolve(text)


def file_of(settings: Settings, path: Path) -> Path:
    """The file that a setting means: a path, or a name of `mnemon models list`.

    Raises:
        UnknownModel: it is the name of none.
        AmbiguousModel: it is the name of several.
    """
    return resolve(settings, str(path)).path if is_name(str(path)) else expanded(path)

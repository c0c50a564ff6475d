"""The other side of a server: its client, and a bot that is served elsewhere, with actions that run here."""

from rasa_core.remote.agent import RemoteAgent as RemoteAgent
from rasa_core.remote.client import RasaCoreClient as RasaCoreClient
from rasa_core.support.http_calls import RequestError as RequestError
from rasa_core.support.http_calls import ServerAnswerError as ServerAnswerError

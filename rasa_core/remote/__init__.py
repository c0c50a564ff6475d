"""The client of a server, and an agent whose bot is served elsewhere while its actions run in this process."""

from rasa_core.remote.agent import RemoteAgent as RemoteAgent
from rasa_core.remote.client import RasaCoreClient as RasaCoreClient
from rasa_core.support.http_calls import RequestError as RequestError
from rasa_core.support.http_calls import ServerAnswerError as ServerAnswerError

"""What the two services tell each other, each within the request that it concerns."""

import hmac
import threading

import requests
from django.conf import settings
from django.db import transaction
from rest_framework import permissions, serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView

from .models import Conversation, Message, Participant

_local = threading.local()


def tell(path, body):
    """Posts to the peer over the connection that this thread keeps, and fails if it is refused."""
    session = getattr(_local, "session", None)
    if session is None:
        session = _local.session = requests.Session()
        session.trust_env = False
        session.headers["X-Relay-Secret"] = settings.RELAY_SECRET
    session.post(settings.PEER_URL + path, json=body, timeout=30).raise_for_status()


class IsPeer(permissions.BasePermission):
    def has_permission(self, request, view):
        given = request.headers.get("X-Relay-Secret", "")
        return hmac.compare_digest(given, settings.RELAY_SECRET)


class Take(APIView):
    authentication_classes = []
    permission_classes = [IsPeer]


class ConversationEvent(serializers.Serializer):
    id = serializers.UUIDField()
    participants = serializers.ListField(child=serializers.CharField(max_length=214))


class TakeConversation(Take):
    def post(self, request):
        event = ConversationEvent(data=request.data)
        event.is_valid(raise_exception=True)
        with transaction.atomic():
            conversation, _ = Conversation.objects.get_or_create(id=event.validated_data["id"])
            for address in event.validated_data["participants"]:
                Participant.objects.get_or_create(conversation=conversation, address=address)
        return Response({}, status=status.HTTP_201_CREATED)


class MessageEvent(serializers.ModelSerializer):
    id = serializers.UUIDField()

    class Meta:
        model = Message
        fields = ["id", "conversation", "sender", "content", "created_at"]


class TakeMessage(Take):
    def post(self, request):
        event = MessageEvent(data=request.data)
        event.is_valid(raise_exception=True)
        sender = event.validated_data["sender"]
        conversation = event.validated_data["conversation"]
        if not sender.endswith("@" + settings.PEER_NAME):
            return Response({}, status=status.HTTP_403_FORBIDDEN)
        if not conversation.participants.filter(address=sender).exists():
            return Response({}, status=status.HTTP_403_FORBIDDEN)
        event.save()
        return Response({}, status=status.HTTP_201_CREATED)

"""What clients ask for."""

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from rest_framework import generics, permissions, serializers, status
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.serializers import TokenObtainPairSerializer
from rest_framework_simplejwt.views import TokenObtainPairView

from . import relay
from .encryption import open_token, seal
from .models import Conversation, Message, Participant, address
from .pages import Pages


class Account(serializers.ModelSerializer):
    password = serializers.CharField(write_only=True, min_length=8)

    class Meta:
        model = get_user_model()
        fields = ["id", "username", "email", "password"]

    def create(self, data):
        return get_user_model().objects.create_user(**data)

    def to_representation(self, user):
        return {"id": str(user.pk), "username": user.username}


class Register(generics.CreateAPIView):
    authentication_classes = []
    permission_classes = [permissions.AllowAny]
    serializer_class = Account


class Tokens(TokenObtainPairSerializer):
    def validate(self, attributes):
        tokens = super().validate(attributes)
        return {"access_token": tokens["access"], "refresh_token": tokens["refresh"]}


class Login(TokenObtainPairView):
    serializer_class = Tokens


class NewConversation(serializers.Serializer):
    participants = serializers.ListField(child=serializers.CharField(max_length=214), min_length=1)


class Conversations(APIView):
    def post(self, request):
        body = NewConversation(data=request.data)
        body.is_valid(raise_exception=True)
        addresses = [address(request.user), *body.validated_data["participants"]]
        with transaction.atomic():
            conversation = Conversation.objects.create()
            Participant.objects.bulk_create(
                Participant(conversation=conversation, address=each) for each in addresses
            )
        answer = {"id": str(conversation.pk), "participants": addresses}
        relay.tell("/relay/conversations/", answer)
        return Response(answer, status=status.HTTP_201_CREATED)


class OneConversation(APIView):
    def get(self, request, pk):
        own = {"pk": pk, "participants__address": address(request.user)}
        conversation = generics.get_object_or_404(Conversation, **own)
        return Response({"id": str(conversation.pk)})


class Text(serializers.Field):
    """Opened on the way out; sealed by the view on the way in."""

    def to_representation(self, token):
        return open_token(token)


class Shown(serializers.ModelSerializer):
    content = Text()

    class Meta:
        model = Message
        fields = ["id", "conversation", "sender", "content", "created_at"]


class NewMessage(serializers.Serializer):
    conversation = serializers.UUIDField()
    content = serializers.CharField(max_length=20_000, trim_whitespace=False)


class Messages(APIView):
    def post(self, request):
        body = NewMessage(data=request.data)
        body.is_valid(raise_exception=True)
        sender, conversation = address(request.user), body.validated_data["conversation"]
        if not Participant.objects.filter(conversation=conversation, address=sender).exists():
            return Response({}, status=status.HTTP_404_NOT_FOUND)
        message = Message.objects.create(
            conversation_id=conversation,
            sender=sender,
            content=seal(body.validated_data["content"]),
            created_at=timezone.now(),
        )
        relay.tell(
            "/relay/messages/",
            {
                "id": str(message.pk),
                "conversation": str(conversation),
                "sender": sender,
                "content": message.content,
                "created_at": message.created_at.isoformat(),
            },
        )
        return Response(Shown(message).data, status=status.HTTP_201_CREATED)


class Seen(generics.GenericAPIView):
    serializer_class = Shown
    pagination_class = Pages

    def get_queryset(self):
        own = {"conversation__participants__address": address(self.request.user)}
        return Message.objects.filter(**own).order_by("-created_at")


class OneMessage(Seen, generics.RetrieveAPIView):
    pass


class Inbox(Seen, generics.ListAPIView):
    def get_queryset(self):
        return super().get_queryset().exclude(sender=address(self.request.user))

"""Conversations, who takes part in them, and what is written there."""

import uuid

from django.conf import settings
from django.db import models


def address(user):
    return f"{user.username}@{settings.APP_NAME}"


class Conversation(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    created_at = models.DateTimeField(auto_now_add=True)


class Participant(models.Model):
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="participants")
    address = models.CharField(max_length=214)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["address", "conversation"], name="once"),
        ]


class Message(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    conversation = models.ForeignKey(Conversation, models.CASCADE, db_index=False)
    sender = models.CharField(max_length=214)
    content = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["conversation", "created_at"], name="newest")]

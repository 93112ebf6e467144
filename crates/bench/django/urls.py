"""The paths of AppA and AppB that the benchmark asks for."""

from django.http import HttpResponse
from django.urls import path

from chat import relay, views

urlpatterns = [
    path("health/ready", lambda request: HttpResponse("ok")),
    path("api/auth/register/", views.Register.as_view()),
    path("api/auth/login/", views.Login.as_view()),
    path("api/chats/conversations/", views.Conversations.as_view()),
    path("api/chats/conversations/<uuid:pk>/", views.OneConversation.as_view()),
    path("api/chats/messages/", views.Messages.as_view()),
    path("api/chats/messages/<uuid:pk>/", views.OneMessage.as_view()),
    path("api/messages/inbox/", views.Inbox.as_view()),
    path("relay/conversations/", relay.TakeConversation.as_view()),
    path("relay/messages/", relay.TakeMessage.as_view()),
]

"""The Model Context Protocol: the workspace's code for agents, over the functions of chats."""

"""The boundary to the engine process: messages, array hand-over, client, server."""

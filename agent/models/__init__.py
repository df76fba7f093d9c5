"""Chat models behind agent.model.ChatModel: scripted (tests) and llama.cpp (GGUF files)."""

"""Room: the wizard. A flow is data; the engine walks it; journeys keep it."""

"""Training and measuring of codec profiles: the gateway's side only, with numpy."""

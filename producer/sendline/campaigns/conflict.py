"""The error of what can't be done as a campaign stands, told apart from what is wrong in itself."""

from sendline.contract.errors import InvalidCampaign


class CampaignConflict(InvalidCampaign):
    """What is asked for is in order, and the campaign as it stands does not allow it."""

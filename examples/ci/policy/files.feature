Feature: What may stand on hosts

  Scenario: Every file says who may read it
    Given I have file defined
    Then it must contain mode

  Scenario: No file can be written by everybody
    Given I have file defined
    When it has mode
    Then its value must not match the "0?[0-7][0-7][2367]" regex

  Scenario: Services that run come back after a reboot
    Given I have service defined
    When it has running
    Then it must contain enabled
